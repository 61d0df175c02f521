//! The protocol between member and hub: generated messages and services, and conversions to core types.
