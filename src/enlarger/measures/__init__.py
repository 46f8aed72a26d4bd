"""What verify measures, one file per measure. Nothing here is shared with the steps that it judges."""
