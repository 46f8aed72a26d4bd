"""What triage looks at: a picture's kind and what ails it, a file per family of measures. No file is written, no pixel changed."""
