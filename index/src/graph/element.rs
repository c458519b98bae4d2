//! The number type that hora computes with: `f32`, with our SIMD distance.
//!
//! hora's own `simd` feature does not compile on stable Rust, but its element traits are public.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign};

use hora::core::node::FloatElement;
use hora::core::simd_metrics::SIMDOptmized;
use num_traits::{Float, FloatConst, FromPrimitive, Num, NumCast, One, Signed, ToPrimitive, Zero};
use serde::{Deserialize, Serialize};

use crate::kernel::Kernel;

/// An `f32` to hora; serialised as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub(super) struct Element(pub f32);

impl SIMDOptmized for Element {
    fn euclidean_distance(a: &[Self], b: &[Self]) -> Result<Self, &'static str> {
        if a.len() != b.len() {
            return Err("vectors of different dimensions");
        }
        // Squared: hora only compares distances.
        Ok(Self(Kernel::best().squared_distance(floats(a), floats(b))))
    }

    fn dot_product(_: &[Self], _: &[Self]) -> Result<Self, &'static str> {
        Err("hora's dot product gives the farthest: only Euclidean is used")
    }

    fn manhattan_distance(_: &[Self], _: &[Self]) -> Result<Self, &'static str> {
        Err("only Euclidean is used")
    }
}

fn floats(elements: &[Element]) -> &[f32] {
    // SAFETY: `Element` is a transparent `f32`, so the slices have one layout; the lifetime is the argument's.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(elements.as_ptr().cast(), elements.len())
    }
}

impl FloatElement for Element {
    fn float_one() -> Self {
        Self(1.0)
    }
    fn float_two() -> Self {
        Self(2.0)
    }
    fn float_zero() -> Self {
        Self(0.0)
    }
    fn zero_patch_num() -> Self {
        Self(1.34e-6)
    }
}

// What follows only forwards to `f32`, for the number traits that hora asks for.

macro_rules! operators {
    ($($trait:ident $method:ident $assign_trait:ident $assign_method:ident;)*) => {$(
        impl $trait for Element {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                Self($trait::$method(self.0, other.0))
            }
        }
        impl $assign_trait for Element {
            fn $assign_method(&mut self, other: Self) {
                $assign_trait::$assign_method(&mut self.0, other.0);
            }
        }
    )*};
}

operators! {
    Add add AddAssign add_assign;
    Sub sub SubAssign sub_assign;
    Mul mul MulAssign mul_assign;
    Div div DivAssign div_assign;
    Rem rem RemAssign rem_assign;
}

impl Neg for Element {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Element {
    fn sum<I: Iterator<Item = Self>>(elements: I) -> Self {
        Self(elements.map(|x| x.0).sum())
    }
}

impl Zero for Element {
    fn zero() -> Self {
        Self(0.0)
    }
    fn is_zero(&self) -> bool {
        self.0 == 0.0
    }
}

impl One for Element {
    fn one() -> Self {
        Self(1.0)
    }
}

impl Num for Element {
    type FromStrRadixErr = <f32 as Num>::FromStrRadixErr;
    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        f32::from_str_radix(text, radix).map(Self)
    }
}

impl Signed for Element {
    fn abs(&self) -> Self {
        Self(self.0.abs())
    }
    fn abs_sub(&self, other: &Self) -> Self {
        Self((self.0 - other.0).max(0.0))
    }
    fn signum(&self) -> Self {
        Self(self.0.signum())
    }
    fn is_positive(&self) -> bool {
        self.0 > 0.0
    }
    fn is_negative(&self) -> bool {
        self.0 < 0.0
    }
}

impl ToPrimitive for Element {
    fn to_i64(&self) -> Option<i64> {
        self.0.to_i64()
    }
    fn to_u64(&self) -> Option<u64> {
        self.0.to_u64()
    }
    fn to_f32(&self) -> Option<f32> {
        Some(self.0)
    }
    fn to_f64(&self) -> Option<f64> {
        Some(self.0.into())
    }
}

impl FromPrimitive for Element {
    fn from_i64(n: i64) -> Option<Self> {
        f32::from_i64(n).map(Self)
    }
    fn from_u64(n: u64) -> Option<Self> {
        f32::from_u64(n).map(Self)
    }
    fn from_f64(n: f64) -> Option<Self> {
        Some(Self(n as f32))
    }
}

impl NumCast for Element {
    fn from<T: ToPrimitive>(n: T) -> Option<Self> {
        n.to_f32().map(Self)
    }
}

macro_rules! constants {
    ($trait:ident: $($name:ident)*) => {
        #[allow(non_snake_case)]
        impl $trait for Element {$(
            fn $name() -> Self {
                Self(<f32 as $trait>::$name())
            }
        )*}
    };
}

constants! { FloatConst:
    E FRAC_1_PI FRAC_1_SQRT_2 FRAC_2_PI FRAC_2_SQRT_PI FRAC_PI_2 FRAC_PI_3 FRAC_PI_4 FRAC_PI_6 FRAC_PI_8
    LN_10 LN_2 LOG10_E LOG2_E PI SQRT_2
}

macro_rules! float {
    (constants: $($constant:ident)*; tests: $($test:ident)*; unary: $($unary:ident)*; binary: $($binary:ident)*;) => {
        impl Float for Element {
            $(fn $constant() -> Self {
                Self(<f32 as Float>::$constant())
            })*
            $(fn $test(self) -> bool {
                Float::$test(self.0)
            })*
            $(fn $unary(self) -> Self {
                Self(Float::$unary(self.0))
            })*
            $(fn $binary(self, other: Self) -> Self {
                Self(Float::$binary(self.0, other.0))
            })*
            fn classify(self) -> std::num::FpCategory {
                self.0.classify()
            }
            fn mul_add(self, a: Self, b: Self) -> Self {
                Self(self.0.mul_add(a.0, b.0))
            }
            fn powi(self, n: i32) -> Self {
                Self(self.0.powi(n))
            }
            fn sin_cos(self) -> (Self, Self) {
                let (sin, cos) = self.0.sin_cos();
                (Self(sin), Self(cos))
            }
            fn integer_decode(self) -> (u64, i16, i8) {
                Float::integer_decode(self.0)
            }
        }
    };
}

float! {
    constants: nan infinity neg_infinity neg_zero min_value min_positive_value max_value epsilon;
    tests: is_nan is_infinite is_finite is_normal is_sign_positive is_sign_negative;
    unary: floor ceil round trunc fract abs signum recip sqrt exp exp2 ln log2 log10 cbrt sin cos tan asin acos atan
        exp_m1 ln_1p sinh cosh tanh asinh acosh atanh;
    binary: powf log max min abs_sub hypot atan2;
}

#[cfg(test)]
mod tests {
    use super::*;
    use hora::core::metrics::{Metric, metric};

    #[test]
    fn hora_measures_with_our_kernel() {
        let a: Vec<Element> = (0..70).map(|i| Element(i as f32)).collect();
        let b: Vec<Element> = (0..70).map(|i| Element(i as f32 + 2.0)).collect();
        assert_eq!(metric(&a, &b, Metric::Euclidean), Ok(Element(280.0)));
        assert!(metric(&a, &b[1..], Metric::Euclidean).is_err());
        assert!(metric(&a, &b, Metric::DotProduct).is_err());
    }
}
