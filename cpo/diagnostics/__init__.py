"""Diagnostics: what happens along a stream, arrays in and arrays out."""
