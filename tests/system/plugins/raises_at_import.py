"""A plugin with a defect that shows when it is imported."""

raise OSError("the vendor's library\nis for another system")
