"""Small pure loss modules."""
