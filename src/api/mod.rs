//! How programs ask: Marathon's REST API. A handler reads a view or sends a fact.
