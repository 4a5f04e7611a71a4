"""Games: chess and small ones, as whole games and as positions."""
