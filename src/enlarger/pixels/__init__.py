"""Small operations on samples that decoding and encoding share."""
