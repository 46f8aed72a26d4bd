"""The libraries that read files of pictures, held on a short rein. Only decode and encode come here."""
