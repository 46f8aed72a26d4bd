"""The rooms, in the order of the walk; the order itself stands in ``pipeline.py``. A room looks back, never forward."""
