"""What a model is and which techniques work with it, before a run: model.py reads it, techniques.py judges."""
