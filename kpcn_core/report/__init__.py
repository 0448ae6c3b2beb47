"""Comparisons -> one self-contained HTML page that shows, measures and magnifies them."""

from kpcn_core.report.page import MAPS, page

__all__ = ["MAPS", "page"]
