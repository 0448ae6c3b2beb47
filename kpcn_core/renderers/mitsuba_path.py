"""The path tracer: what one sample of a pixel sees, split at its first scattering event.

The estimator is that of Mitsuba's `path` integrator: next-event estimation and BSDF sampling,
combined by the power heuristic (Veach 1997), Russian roulette from a given depth. Beside the
radiance it follows which share of it left the first surface by a diffuse lobe.
"""

from dataclasses import dataclass
from typing import Any

import drjit as dr
import mitsuba as mi


@dataclass(frozen=True)
class Limits:
    """What ends a path, and what the camera sees.

    Attributes:
        max_depth: longest path in segments; 1 sees only emitters, negative is unlimited.
        rr_depth: depth from which Russian roulette may end a path.
        hide_emitters: emitters light the scene but the camera does not see them.
    """

    max_depth: int = -1
    rr_depth: int = 5
    hide_emitters: bool = False


@dataclass(frozen=True)
class Hits:
    """The first scattering event of every sample.

    Attributes:
        intersection: Mitsuba's preliminary intersection; invalid where nothing was hit.
        position: world position; of no meaning where nothing was hit.
        found: whether anything was hit.
    """

    intersection: Any
    position: Any
    found: Any


@dr.syntax
def trace(
    scene: Any, sampler: Any, ray: Any, weight: Any, limits: Limits
) -> tuple[dict[str, Any], Hits]:
    """Follow one path for each ray.

    What is seen without any scattering (emitters, environment) is in `color` alone. The first
    surface that scatters decides: light that left it by a diffuse lobe is `diffuse`, everything
    else (glossy lobes, mirrors, glass) is `specular`. Passing through a mask or a thin window
    unscattered is no event.

    Args:
        scene: the Mitsuba scene.
        sampler: seeded for as many samples as there are rays.
        ray: camera rays.
        weight: importance of each ray.
        limits: when paths end.

    Returns:
        (AOV name to values of every sample, first hits)
    """
    max_depth = mi.UInt32(limits.max_depth if limits.max_depth >= 0 else 0xFFFFFFFF)
    rr_depth = mi.UInt32(limits.rr_depth)
    everything = mi.BSDFContext()

    ray = mi.Ray3f(ray)
    origin = mi.Point3f(ray.o)
    throughput = mi.Color3f(weight)
    share = mi.Color3f(0)  # diffuse share of the throughput
    color, diffuse, specular = mi.Color3f(0), mi.Color3f(0), mi.Color3f(0)
    albedo, normal = mi.Color3f(0), mi.Normal3f(0)
    distance = mi.Float(dr.inf)
    eta = mi.Float(1)
    depth = mi.UInt32(0)
    covered = mi.Bool(not limits.hide_emitters and scene.environment() is not None)
    scattered = mi.Bool(False)
    hit = dr.zeros(mi.PreliminaryIntersection3f)
    position = mi.Point3f(0)
    previous = dr.zeros(mi.Interaction3f)
    previous_pdf, previous_delta = mi.Float(1), mi.Bool(True)
    active = mi.Bool(limits.max_depth != 0)
    pi = _first_intersection(scene, ray, limits)

    while dr.hint(active, label="path"):
        si = pi.compute_surface_interaction(ray)

        # Emission met by the BSDF sample of the previous vertex, or by the camera ray.
        ds = mi.DirectionSample3f(scene, si, previous)
        emitter_pdf = scene.pdf_emitter_direction(previous, ds, ~previous_delta)
        emitter_pdf = dr.select(previous_delta, 0, emitter_pdf)
        emitted = throughput * ds.emitter.eval(si, previous_pdf > 0)
        emitted *= power_heuristic(previous_pdf, emitter_pdf)
        color += emitted
        diffuse += dr.select(scattered, share * emitted, 0)
        specular += dr.select(scattered, (1 - share) * emitted, 0)

        proceed = (depth + 1 < max_depth) & si.is_valid()
        bsdf = si.bsdf(ray)
        flags = bsdf.flags()
        # What the camera sees is recorded even where the path may go no further.
        first = si.is_valid() & ~scattered

        # One direction towards an emitter, and one by the BSDF.
        lit = proceed & mi.has_flag(flags, mi.BSDFFlags.Smooth)
        ds, emitter_weight = scene.sample_emitter_direction(si, sampler.next_2d(), True, lit)
        lit &= ds.pdf != 0
        wo = si.to_local(ds.d)
        value, pdf, sample, bsdf_weight = bsdf.eval_pdf_sample(
            everything, si, wo, sampler.next_1d(), sampler.next_2d(), proceed | first
        )
        event = ~mi.has_flag(sample.sampled_type, mi.BSDFFlags.Null)

        # The diffuse share at the first event: f_diffuse / f in either direction.
        reflectance = dr.clip(bsdf.eval_diffuse_reflectance(si, first), 0, 1)
        share_emitter = dr.select(
            first, diffuse_share(bsdf, si, wo, value, reflectance, first & lit), share
        )
        smooth = first & event & ~mi.has_flag(sample.sampled_type, mi.BSDFFlags.Delta)
        value_sample = bsdf.eval(everything, si, sample.wo, smooth)
        share_sample = diffuse_share(bsdf, si, sample.wo, value_sample, reflectance, smooth)
        share = dr.select(first & event, share_sample, share)

        heuristic = dr.select(ds.delta, 1, power_heuristic(ds.pdf, pdf))
        direct = dr.select(lit, throughput * value * emitter_weight * heuristic, 0)
        color += direct
        diffuse += share_emitter * direct
        specular += (1 - share_emitter) * direct

        # What the first event was.
        record = first & event
        has_diffuse = mi.has_flag(flags, mi.BSDFFlags.Diffuse)
        # Metal and glass have no diffuse reflectance: the weight of the sampled direction
        # estimates their directional albedo. eta undoes the scaling of refracted radiance.
        directional = dr.clip(bsdf_weight * dr.square(sample.eta), 0, 1)
        albedo = dr.select(record, dr.select(has_diffuse, reflectance, directional), albedo)
        facing = dr.select(dr.dot(si.sh_frame.n, ray.d) > 0, -si.sh_frame.n, si.sh_frame.n)
        normal = dr.select(record, facing, normal)
        distance = dr.select(record, dr.norm(si.p - origin), distance)
        position = dr.select(record, si.p, position)
        hit = dr.select(record, pi, hit)
        scattered |= record
        covered |= record

        # The next segment.
        throughput *= bsdf_weight
        eta *= sample.eta
        ray = si.spawn_ray(si.to_world(sample.wo))
        previous = mi.Interaction3f(si)
        previous_pdf = sample.pdf
        previous_delta = mi.has_flag(sample.sampled_type, mi.BSDFFlags.Delta)
        depth[si.is_valid()] += 1
        brightest = dr.max(throughput)
        survival = dr.minimum(brightest * dr.square(eta), 0.95)
        roulette = depth >= rr_depth
        throughput[roulette] *= dr.rcp(survival)
        active = proceed & (brightest != 0) & (~roulette | (sampler.next_1d() < survival))
        pi = scene.ray_intersect_preliminary(ray, active=active)

    aovs = {
        "color": dr.select(covered, color, 0),
        "alpha": dr.select(covered, mi.Float(1), 0),
        "diffuse": dr.select(covered, diffuse, 0),
        "specular": dr.select(covered, specular, 0),
        "albedo": albedo,
        "normal": normal,
        "depth": distance,
    }
    return aovs, Hits(hit, position, scattered)


def diffuse_share(bsdf: Any, si: Any, wo: Any, value: Any, reflectance: Any, active: Any) -> Any:
    """Which part of the BSDF's value in a direction is diffuse, 0 to 1 per channel.

    Some BSDFs (`principled`) return all of their lobes whichever are asked for. These count as
    diffuse up to the Lambertian lobe of their diffuse reflectance, and as specular beyond it.
    """
    diffuse, none = mi.BSDFContext(), mi.BSDFContext()
    diffuse.type_mask, none.type_mask = mi.BSDFFlags.Diffuse, mi.BSDFFlags.Empty
    part = bsdf.eval(diffuse, si, wo, active)
    unsplit = dr.max(bsdf.eval(none, si, wo, active)) > 0
    cos_o = mi.Frame3f.cos_theta(wo)
    reflected = mi.Frame3f.cos_theta(si.wi) * cos_o > 0
    lambertian = dr.select(reflected, reflectance * dr.abs(cos_o) * dr.inv_pi, 0)
    part = dr.select(unsplit, dr.minimum(value, lambertian), part)
    return dr.select(active & (value > 0), dr.clip(part / value, 0, 1), 0)


def power_heuristic(pdf: Any, other: Any) -> Any:
    """Weight of a sample taken with one density where another could have taken it (Veach 1997)."""
    ratio = dr.square(pdf) / (dr.square(pdf) + dr.square(other))
    return dr.select(dr.isfinite(ratio), ratio, 0)


def registry_index(shape: Any) -> int:
    """The number by which a kernel knows a shape."""
    return int(dr.reinterpret_array(mi.UInt32, mi.ShapePtr(shape))[0])


def _first_intersection(scene: Any, ray: Any, limits: Limits) -> Any:
    """Where camera rays hit, past the emitters if these are hidden."""
    pi = scene.ray_intersect_preliminary(ray, coherent=True)
    if limits.hide_emitters:
        on_emitter = pi.is_valid() & (pi.shape.emitter() != None)  # noqa: E711  (elementwise)
        beyond = pi.compute_surface_interaction(ray, mi.RayFlags.Minimal, on_emitter)
        onward = beyond.spawn_ray(ray.d)
        skipped = scene.integrator().skip_area_emitters(scene, onward, True, on_emitter)
        pi = dr.select(on_emitter, skipped, pi)
    return pi
