"""What a step of a training is: who learns in it, from what, and what is kept of it.

::

    sections.py     what an experiment's `task:` may say, free of torch
    task.py         Task and its players, which take turns in each step
    supervised.py   a network learns from labels
    cycle_gan.py    generators between two sensors learn from images of both, unpaired and without labels
    blocks.py       GAN-CDM: what clouds reflect, learnt from blocks that are called cloudy or clear
    adversarial.py  the losses of the last two, and who judges their images
"""
