"""The cloud of 123pan with every quirk that is known or feared.

world     offered (a file, its row) · account (credentials, files) · sample (the vendor's own example)
API       api · listing (which rows) · envelope · related (lesser endpoints) · api_faults
download  signing (presigned addresses) · downloads · delivery (ranges) · delivery_faults · download_faults
cloud     both servers; quirks holds every setting
"""
