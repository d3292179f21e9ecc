//! Every read and write of a store or report goes through here.
