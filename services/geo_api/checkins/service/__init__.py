"""Use cases of check-ins: deciding a group of them in one transaction."""
