"""The words of the trade as frozen values. Imports nothing but the standard library."""
