//! Why a query is a format error.

/// What is wrong with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not exactly one question (RFC 9619).
    QuestionCount,
    /// The question's name, type or class.
    Question,
    /// A record after the question does not fit into the packet.
    Record,
    /// The OPT record: twice, not at the root, or its options.
    Edns,
    /// The option with the client's network.
    ClientSubnet,
}
