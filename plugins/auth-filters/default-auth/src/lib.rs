//! Auth filter that lets every proposal through.
