"""Tencent Lexiang: who downloaded which file, served newest first, page by page."""
