"""The long-running process: its life cycle and its alarm clock."""
