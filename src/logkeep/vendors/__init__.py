"""The vendors' protocols and the HTTP they share; one folder a vendor."""
