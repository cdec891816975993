"""The program that decodes untrusted bytes, in a process of its own.

Web and worker processes start it from `imaging.decoders`, outside of the package `similar_images`, so that neither
Django nor NumPy is loaded there. Its modules import each other, Pillow, and its plug-in for
HEIC, where that is installed, only.
"""
