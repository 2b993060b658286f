package io.github.jmarlin.cuda;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.memory.Closing;
import jcuda.CudaException;
import jcuda.driver.CUresult;

/** Calls of the driver whose results are never ignored. */
final class Cuda {

    /** A call that returns a CUresult. */
    interface Call {
        int run();
    }

    /** Something of the driver's, and how to give it back. The context must be current. */
    interface Resource extends AutoCloseable {
        @Override
        void close();
    }

    private Cuda() {
    }

    /** @throws CudaCallException unless the call returns CUDA_SUCCESS */
    static void call(String name, Call call) {
        int code = code(call);
        if (code != CUresult.CUDA_SUCCESS) {
            throw failure(name, code, "");
        }
    }

    /** The result of a call, also where the application has told JCuda to throw instead of returning it. */
    static int code(Call call) {
        try {
            return call.run();
        } catch (CudaException e) {
            return code(e);
        }
    }

    /** JCuda's exceptions carry the name of the result, not its number. */
    static int code(CudaException exception) {
        for (int code = 1; code < CUresult.CUDA_ERROR_UNKNOWN; code++) {
            if (CUresult.stringFor(code).equals(exception.getMessage())) {
                return code;
            }
        }
        return CUresult.CUDA_ERROR_UNKNOWN;
    }

    /** Closes what a failed construction leaves behind; a failure of that is added to the first one. */
    static void closeAfter(Throwable failure, AutoCloseable... resources) {
        Closing.after(failure, resources);
    }

    /** Closes all of them even if some fail, then throws the first failure. Null entries are skipped. */
    static void closeAll(AutoCloseable... resources) {
        Closing.all(resources);
    }

    static CudaCallException failure(String name, int code, String detail) {
        return new CudaCallException(name, code, CUresult.stringFor(code), detail);
    }
}
