"""What an XML file may name: a package per family of modules and drivers."""
