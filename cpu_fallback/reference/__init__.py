"""The same functions in plain NumPy, written for reading: the oracle of both twins (``GPUJW_CPU=numpy`` runs on it)."""
