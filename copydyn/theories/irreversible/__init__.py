"""What theories of irreversibility are made of: equilibria, channels, collapse, steady states, thermodynamics, signals.

A. Mukherjee, arXiv:2504.16197v1 (2025): objective quantum thermalisation (OQT), spontaneous unitarity violation (SUV)
and both (SUI). Equation numbers are that version's. The theories themselves are `copydyn.theories.OQT`, `SUV`, `SUI`;
what stands here is functions of arrays and experiments that they share, and what can be asked of them.
"""
