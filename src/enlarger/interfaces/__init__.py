"""The doors. Each uses ``import enlarger`` only, and so proves that the Python API is complete."""
