"""Compiled functions and nothing else: arrays, scalars and random state in; arrays and a status out.

A kernel never raises and never allocates in its loop. Its readable twin is itself, run by the interpreter
(``kernel.py_func``), or the step of one Mesa agent; the tests hold each kernel to its twin event by event.
"""
