//! Methods that set one field of a struct of parameters and give it back.

/// Makes a method of each field's name: `optional` puts what it is given into `Some`,
/// `plain` takes it as it is.
macro_rules! setters {
    (@value optional $value:ident) => { Some($value.into()) };
    (@value plain $value:ident) => { $value.into() };
    ($($(#[$doc:meta])* $kind:ident $field:ident: $type:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $field(mut self, $field: impl Into<$type>) -> Self {
            self.$field = $crate::setters::setters!(@value $kind $field);
            self
        }
    )*};
}
pub(crate) use setters;
