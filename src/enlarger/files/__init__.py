"""What a picture file is, besides pixels: its bytes, its kind, and the metadata it carries and must get back."""
