"""What a forge can write: who is trained on, who is asked about, and the files."""
