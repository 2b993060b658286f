package io.github.jmarlin.bench.gpu;

import static jcuda.driver.JCudaDriver.cuDeviceGetPCIBusId;

import io.github.jmarlin.bench.Provenance;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import jcuda.driver.CUdevice;

/** Reads the state of a GPU with nvidia-smi. Only ever asks. */
final class NvidiaSmi {
    private static final String STATE = "clocks.sm,clocks.mem,clocks.max.sm,power.draw,power.limit,temperature.gpu,pstate,"
            + "clocks_throttle_reasons.active";

    private final Optional<String> busId;

    NvidiaSmi(CUdevice device) {
        String[] id = new String[1];
        busId = cuDeviceGetPCIBusId(id, 20, device) == 0 ? Optional.ofNullable(id[0]) : Optional.empty();
    }

    /** SM clock, memory clock, highest SM clock, power, its limit, temperature, performance state and throttle reasons. */
    String state() {
        return query(STATE).map(values -> values + " (" + STATE + ")").orElse("nvidia-smi says nothing about this device");
    }

    /** Version of the driver. */
    String driver() {
        return query("driver_version").orElse("version unknown (no nvidia-smi)");
    }

    private Optional<String> query(String fields) {
        List<String> command = new ArrayList<>(List.of("nvidia-smi", "--query-gpu=" + fields, "--format=csv,noheader"));
        return busId.flatMap(id -> {
            command.add("--id=" + id);
            return Provenance.output(command);
        });
    }
}
