"""Local copies: windows of an image against shifted windows of the synthetic images."""
