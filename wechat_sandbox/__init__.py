"""A stateful stand-in for WeChat: its API, the people who use it, and its pushes.

Nothing here knows SOLOMO's services. It answers as WeChat's documentation and reports of its users
say that WeChat does; where they are silent, the module concerned says what was chosen. State is in
memory and gone when the program ends.
"""
