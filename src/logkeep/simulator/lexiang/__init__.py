"""The cloud of Tencent Lexiang with every quirk that is known or feared.

world   identity (ids) · traits (what rows look like) · cast (people and files) · records (which, in which order)
        account (credentials, records, the truth) · churn (change between requests) · sample (the vendor's own example)
API     api · refusals · paging (which rows a page has) · document (how a page is written) · api_faults
cloud   the server; quirks holds every setting
"""
