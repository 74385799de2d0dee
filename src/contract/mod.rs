//! How Marathon's JSON speaks, pure: only this folder knows the dialect.
