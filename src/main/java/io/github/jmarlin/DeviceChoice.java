package io.github.jmarlin;

/**
 * A device and why it was chosen.
 *
 * @param device the device
 * @param reason one sentence for a person
 */
public record DeviceChoice(ComputeDevice device, String reason) {
}
