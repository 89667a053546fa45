"""The two launchers. Hydra imports all of this at every start: nothing heavy on top."""
