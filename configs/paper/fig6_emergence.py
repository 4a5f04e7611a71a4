"""Figure 6: with more compute an observer that writes down intermediate states wins abruptly.

    python -m experiments.sweep --sweep=paper/fig6_emergence --workdir=runs/fig6

Rule 54 from X to its state after many steps: directly, or in loops, with the states between as
tokens that are coded too, so that the loops pay for every state.
"""
