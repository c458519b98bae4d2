use proptest::prelude::*;

use super::*;

/// A dimension and `rows` vectors of it.
fn vectors(rows: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1usize..150).prop_flat_map(move |dim| prop::collection::vec(prop::collection::vec(-4.0f32..4.0, dim), rows))
}

fn dot64(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn close(got: f32, want: f64, terms: usize) -> bool {
    (f64::from(got) - want).abs() <= 1e-5 * terms as f64
}

proptest! {
    #[test]
    fn every_kernel_agrees_with_f64(all in vectors(12), ids in prop::collection::vec(0u32..11, 0..23)) {
        let dim = all[0].len();
        let query = Line::pad(&all[11]);
        let rows: Vec<Line> = all[..11].iter().flat_map(|v| Line::pad(v)).collect();
        let want: Vec<f64> = all[..11].iter().map(|v| dot64(v, &all[11])).collect();
        for kernel in Kernel::available() {
            let mut out = vec![f32::NAN; 11];
            kernel.scan(&query, &rows, &mut out);
            for (got, want) in out.iter().zip(&want) {
                prop_assert!(close(*got, *want, dim), "{} {got} {want}", kernel.name);
            }
            let mut out = vec![f32::NAN; ids.len()];
            kernel.gather(&query, &rows, &ids, &mut out);
            for (got, id) in out.iter().zip(&ids) {
                prop_assert!(close(*got, want[*id as usize], dim), "{} {got}", kernel.name);
            }
            let distance: f64 = all[0].iter().zip(&all[1]).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            prop_assert!(close(kernel.squared_distance(&all[0], &all[1]), distance, 10 * dim));
        }
    }
}

#[test]
fn best_is_the_first_available_and_scalar_is_always_there() {
    let all = Kernel::available();
    assert_eq!(all[0].name, Kernel::best().name);
    assert_eq!(all.last().map(|k| k.name), Some("scalar"));
}
