"""epx: how much can a learner with a given amount of compute learn from this data?"""

__version__ = "0.1.0"
