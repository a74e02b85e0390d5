//! `record!`: a struct whose fields stand on the wire one after the other, and nothing else.

macro_rules! record {
    ($($(#[$meta:meta])* $name:ident [$($lifetime:lifetime)?] {
        $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name<$($lifetime)?> {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl<'a> $crate::wire::Field<'a> for $name<$($lifetime)?> {
            fn read(reader: &mut $crate::wire::Reader<'a>) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $($field: $crate::wire::Field::read(reader)?,)* })
            }
            fn write(&self, writer: &mut $crate::wire::Writer<'_>) {
                $($crate::wire::Field::write(&self.$field, writer);)*
            }
        }

        #[cfg(test)]
        impl<'a> $crate::wire::tests::ToJson for $name<$($lifetime)?> {
            fn to_json(&self) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $(map.insert(stringify!($field).into(), self.$field.to_json());)*
                map.into()
            }
        }
    )*};
}
pub(super) use record;
