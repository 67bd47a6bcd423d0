"""Speakers that no training ever hears, so that there is other speech to measure a model on than read books."""

KEPT_OUT = frozenset(
    {
        # Every tenth speaker of speechocean762, in the order of their names: learners, 244 utterances, 18 minutes.
        "0026", "0093", "0122", "0482", "0813", "1042", "1109", "1293", "1419", "1503", "2036", "2208", "2402",
        "2621", "3012", "3075", "5015", "5408", "6067", "8057", "9101", "9606", "9616", "9629", "9646",
        # One whole synthetic voice, of a Scottish speaker.
        "flite:awb",
    }
)  # fmt: skip
"""As the column ``speaker`` names them. No speaker of the training files of LibriSpeech has the name of a learner."""
VALIDATION = ("118", "3947")
"""Of LibriSpeech train-clean-5: what trainings validate on unless they are told otherwise."""
