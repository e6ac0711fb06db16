"""
The questions that ``micamessenger check`` and readiness ask.

What is asked is told apart from what the answer means: modules that judge take
values and give findings; those that ask wait, and decide nothing.
"""
