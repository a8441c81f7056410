"""How a run is played: its parts, the kernels that carry them, what they leave behind, and how they are kept.

`conduct` plays the parts (`courses`) of any theory on several threads, with checkpoints (`checkpoint`); `engines` says
which kernel carries which copies, and `recording` what is taken down at the save times.
"""
