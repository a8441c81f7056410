"""Sweeps: one scenario at many values of its keys, on all cores or a cluster, kept so that nothing is lost.

A sweep adds no physics: it is `Theory.evolve` mapped over points. What is computed is said by a `Recipe`; a `Store` is
the folder of what has been computed; `work` turns the one into the other, in whatever process it is called.
"""
