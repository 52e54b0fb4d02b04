//! The examples are the files beside this directory; this library holds nothing.
