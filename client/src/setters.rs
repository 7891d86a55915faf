//! Setters for structs of options, to be chained. What a field means stands at the field.

/// `setters! { Options { field: Type, … } }`: a setter for each field named. A value is taken as anything
/// that becomes the field's type, so that `None` and a bare value do for an `Option`.
macro_rules! setters {
    ($options:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        impl $options {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $kind) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

pub(crate) use setters;
