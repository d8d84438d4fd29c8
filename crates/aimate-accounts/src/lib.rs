//! Accounts for aiMate: passwords, sessions, API tokens and login through an OpenID
//! provider, for applications that have no login of their own.
